def test_an_order_costs_what_the_catalog_says_and_its_delivery(order):
    assert order({"cup": 2, "plate": 1}) == (201, {"goods": 2300, "delivery": 490})


def test_a_large_order_is_delivered_free(order):
    assert order({"pot": 2}) == (201, {"goods": 8400, "delivery": 0})


def test_what_the_shop_does_not_sell_cannot_be_ordered(order):
    assert order({"spoon": 1}) == (404, {"error": "no such product: spoon"})


def test_nothing_cannot_be_ordered(order):
    assert order({"cup": 0})[0] == 400
