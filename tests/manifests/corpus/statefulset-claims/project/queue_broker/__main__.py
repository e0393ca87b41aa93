import sys

print("peers:", sys.argv[-1])
