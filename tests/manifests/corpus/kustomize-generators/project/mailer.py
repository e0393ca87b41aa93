import tomllib
from pathlib import Path

print(tomllib.loads(Path("/etc/mailer/settings.toml").read_text()))
