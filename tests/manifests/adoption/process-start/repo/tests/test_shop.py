import os
import unittest
import urllib.request


class Shop(unittest.TestCase):
    def test_an_order_is_taken(self):
        request = urllib.request.Request(os.environ["ORDERS_URL"] + "/orders", method="POST")
        with urllib.request.urlopen(request) as answer:
            assert (answer.status, answer.read()) == (201, b"1")
