SECRET_KEY = "not one"
