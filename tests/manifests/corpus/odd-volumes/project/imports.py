from pathlib import Path

print(sorted(Path("/shared").iterdir()))
