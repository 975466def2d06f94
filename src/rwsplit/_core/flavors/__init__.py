"""What MySQL and MariaDB are asked, told to track, and begin with."""
