import os

print("fog in", os.environ["CITY"])
