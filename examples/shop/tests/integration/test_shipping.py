def test_a_light_parcel_costs_what_the_carrier_asks(shipping):
    assert shipping("/quote?to=at&grams=800") == (200, {"carrier": "Alpenpost", "price": 490, "days": 2})


def test_a_heavy_one_costs_more_for_each_kilogram(shipping):
    assert shipping("/quote?to=jp&grams=2500") == (200, {"carrier": "Overseas", "price": 3790, "days": 9})


def test_nobody_delivers_everywhere(shipping):
    assert shipping("/quote?to=atlantis&grams=1") == (404, {"error": 'nobody delivers to "atlantis"'})
