"""The indexes by which columns are searched (`records/search`), for a table's `__table_args__`."""

from sqlalchemy import Index, func, literal_column


def index_name(table_name: str, column: str, *, within: bool) -> str:
    """What the index is called by which a column is searched."""
    return f"{table_name}_{column}_{'within' if within else 'begins'}"


def beginnings(table_name: str, column: str) -> Index:
    """The index by which a column is searched for how it begins; for a table's `__table_args__`."""
    begins_so = func.lotwise_folded(literal_column(column)).label("folded")
    return Index(index_name(table_name, column, within=False), begins_so, postgresql_ops={"folded": "text_pattern_ops"})


def bigrams(table_name: str, column: str) -> Index:
    """The index by which a column is searched for any part of it; for a table's `__table_args__`."""
    return Index(
        index_name(table_name, column, within=True),
        func.lotwise_bigrams(literal_column(column)),
        postgresql_using="gin",
    )
