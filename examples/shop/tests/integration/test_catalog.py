def test_finds_products_by_their_name(catalog):
    status, found = catalog("/products?q=tea")
    assert status == 200
    assert [product["sku"] for product in found] == ["pot"]


def test_finds_what_one_can_afford(catalog):
    _, found = catalog("/products?dearest=800")
    assert [product["sku"] for product in found] == ["cup"]


def test_shows_a_product(catalog):
    assert catalog("/products/plate") == (200, {"sku": "plate", "name": "Plate", "price": 900})


def test_does_not_know_every_product(catalog):
    assert catalog("/products/spoon")[0] == 404
