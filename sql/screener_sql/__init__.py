"""What the three programs share: the schema, the words of its tables, and the way to reach it.

The programs never import each other; they meet in Postgres, through this package. Every statement
lives in a `.sql` file: `migrations/` makes the schema, `queries/<program>/` holds one query a file.
"""

from functools import cache
from importlib.resources import files


@cache
def query(name: str) -> bytes:
    """The text of `queries/<name>.sql`, such as `query("collector/claim_fetches")`.

    Parameters in it are named: `%(asset_id)s::integer`. As bytes, because psycopg takes a trusted
    text as bytes without a cast. Raises FileNotFoundError for a name that there is no file for.
    """
    return files(__name__).joinpath("queries", f"{name}.sql").read_bytes()
