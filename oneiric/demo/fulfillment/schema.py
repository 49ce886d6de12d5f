"""The tables of the order book and of the payment gateway, and what a new shop has in stock."""

ORDERS = (
    "CREATE TABLE products (sku TEXT PRIMARY KEY, cents INTEGER NOT NULL) WITHOUT ROWID",
    "INSERT INTO products VALUES ('cable', 900), ('desk', 24900), ('lamp', 4900)",
    """
    CREATE TABLE stock (
        region TEXT NOT NULL,
        sku TEXT NOT NULL REFERENCES products,
        units INTEGER NOT NULL CHECK (units >= 0),
        level INTEGER NOT NULL,
        PRIMARY KEY (region, sku)
    ) WITHOUT ROWID
    """,
    "INSERT INTO stock SELECT 'eu', sku, 1000, 1000 FROM products",
    "INSERT INTO stock SELECT 'us', sku, 1000, 1000 FROM products",
    "INSERT INTO stock SELECT 'apac', sku, 0, 100 FROM products",
    """
    CREATE TABLE orders (
        order_id TEXT PRIMARY KEY,
        region TEXT NOT NULL,
        customer TEXT NOT NULL,
        speed TEXT NOT NULL,
        amount_cents INTEGER NOT NULL,
        state TEXT NOT NULL,
        key TEXT NOT NULL,
        at TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE lines (
        order_id TEXT NOT NULL REFERENCES orders,
        sku TEXT NOT NULL REFERENCES products,
        quantity INTEGER NOT NULL,
        PRIMARY KEY (order_id, sku)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE reservations (
        order_id TEXT PRIMARY KEY REFERENCES orders,
        key TEXT NOT NULL,
        units INTEGER NOT NULL,
        at TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE payments (
        order_id TEXT NOT NULL REFERENCES orders,
        round INTEGER NOT NULL,
        key TEXT NOT NULL,
        state TEXT NOT NULL,
        reference TEXT NOT NULL,
        cents INTEGER NOT NULL,
        at TEXT NOT NULL,
        PRIMARY KEY (order_id, round)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE carriers (
        order_id TEXT PRIMARY KEY,
        carrier TEXT NOT NULL,
        at TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE shipments (
        order_id TEXT PRIMARY KEY REFERENCES orders,
        key TEXT NOT NULL,
        carrier TEXT NOT NULL,
        tracking TEXT NOT NULL,
        at TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE notifications (
        order_id TEXT PRIMARY KEY REFERENCES orders,
        key TEXT NOT NULL,
        recipient TEXT NOT NULL,
        text TEXT NOT NULL,
        at TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE audit (
        event_id TEXT PRIMARY KEY,
        topic TEXT NOT NULL,
        order_id TEXT NOT NULL,
        at TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE TABLE provoked (key TEXT PRIMARY KEY, at TEXT NOT NULL) WITHOUT ROWID",
)
"""The order book. Each `key` is the idempotency key of the step that wrote the row."""

CHARGES = (
    """
    CREATE TABLE charges (
        key TEXT PRIMARY KEY,
        reference TEXT NOT NULL UNIQUE,
        payer TEXT NOT NULL,
        cents INTEGER NOT NULL,
        refunded_at TEXT NOT NULL,
        at TEXT NOT NULL
    ) WITHOUT ROWID
    """,
)
"""The gateway's own book, which it keeps as a company of its own would."""
