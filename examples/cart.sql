-- The tables of flask_cart.py, fastapi_cart.py and celery_cart.py.

CREATE TABLE cart (
    id INT AUTO_INCREMENT PRIMARY KEY,
    user VARCHAR(40) NOT NULL,
    item VARCHAR(40) NOT NULL,
    KEY (user)
);

CREATE TABLE orders (
    id INT AUTO_INCREMENT PRIMARY KEY,
    user VARCHAR(40) NOT NULL,
    item VARCHAR(40) NOT NULL
);

CREATE TABLE invoices (
    order_id INT PRIMARY KEY,
    text VARCHAR(200) NOT NULL,
    read_on VARCHAR(10) NOT NULL
);
