"""Settings of the tea shop; where its database is stands in the environment."""

import os

DATABASES = {
    "default": {
        "ENGINE": "rwsplit.django",
        "NAME": os.environ.get("SHOP_DATABASE", "shop"),
        "USER": os.environ.get("SHOP_USER", "app"),
        "PASSWORD": os.environ.get("SHOP_PASSWORD", "secret"),
        "HOST": os.environ.get("SHOP_HOST", "127.0.0.1"),  # the primary
        "PORT": os.environ.get("SHOP_PORT", "3306"),
        # The keywords of rwsplit.connect().
        "OPTIONS": {"replicas": os.environ.get("SHOP_REPLICAS", "")},
    }
}

SECRET_KEY = os.environ.get("SHOP_SECRET_KEY", "not a secret: this is an example")
DEBUG = False
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "testserver"]
ROOT_URLCONF = "teashop.urls"
INSTALLED_APPS = ["teashop"]
MIDDLEWARE = [
    # A user sees what they did in the request before, whichever process serves them.
    "rwsplit.django.middleware.RWSplitMiddleware",
    "django.middleware.common.CommonMiddleware",
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
