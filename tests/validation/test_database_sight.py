"""What a database lets be seen of it, and what is never done to it."""

from oneiric.ports.executor import Executor
from tests.validation.databases import drift, reasons
from tests.validation.shop import Shop


async def test_a_password_behind_the_question_mark_shows_nowhere(
    plain: Shop, executor: Executor
) -> None:
    """Whoever repeats it: the address may say it there too."""
    plain.write("migrations/env.py", "raise RuntimeError('no entry with hunter2 hunter2/')")
    url = "postgresql://me@127.0.0.1:1/shop?password=hunter2&sslpassword=hunter2%2F"
    report = await drift(executor, plain.folder, url=url)
    assert "no entry with **********" in reasons(report)
    assert "hunter2" not in str(report.as_json())
