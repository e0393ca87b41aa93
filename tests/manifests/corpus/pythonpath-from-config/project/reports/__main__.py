import os

print(os.environ.get("REPORTS_TIMEZONE"))
