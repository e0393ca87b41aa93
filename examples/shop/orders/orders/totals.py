"""What an order costs, in cents."""

from collections.abc import Iterable

FREE_DELIVERY_FROM = 5000
DELIVERY = 490


def delivery(goods: int, *, express: bool = False) -> int:
    if express:
        return 2 * DELIVERY
    return 0 if goods >= FREE_DELIVERY_FROM else DELIVERY


def total(lines: Iterable[tuple[int, int]], *, express: bool = False) -> dict[str, int]:
    """`lines` are (price, quantity)."""
    goods = sum(price * quantity for price, quantity in lines)
    return {"goods": goods, "delivery": delivery(goods, express=express)}


def refund(total: dict[str, int]) -> int:
    return total["goods"]
