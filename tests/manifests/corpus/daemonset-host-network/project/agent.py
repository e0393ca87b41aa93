import os
import time

while True:
    print(os.environ["NODE_NAME"], os.getloadavg())
    time.sleep(30)
