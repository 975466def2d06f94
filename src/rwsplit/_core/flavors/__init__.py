"""What MySQL and MariaDB do differently, are asked, are told to track, and begin with."""
