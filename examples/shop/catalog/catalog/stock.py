"""The products and their prices in cents."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Product:
    sku: str
    name: str
    price: int


PRODUCTS = {
    product.sku: product
    for product in (
        Product("cup", "Cup", 700),
        Product("plate", "Plate", 900),
        Product("pot", "Tea pot", 4200),
    )
}


def find(sku: str) -> dict[str, object] | None:
    product = PRODUCTS.get(sku)
    return asdict(product) if product else None


def search(text: str, dearest: int | None = None) -> list[dict[str, object]]:
    hits = [product for product in PRODUCTS.values() if text.lower() in product.name.lower()]
    if dearest is not None:
        hits = [product for product in hits if product.price <= dearest]
    return [asdict(product) for product in hits]
