"""The sample, written into a database of its own."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.erp.exposure.judge.judge import Judge
from core.erp.kernel.attachments.files import FILES, FileStore
from core.erp.kernel.audit_keys import AuditKeys, open_engine
from core.erp.migrations import upgrade
from core.wiring import build_events
from lotwise.demo.sample import alerts, goods, paper, site

SPAN = timedelta(days=14)
SUBLOTS = 2000


def seed(
    owner_url: str, url: str, keys: AuditKeys, data_dir: Path, sublots: int = SUBLOTS
) -> tuple[site.Sample, Judge, int]:
    """The sample up to this moment, its judge, and the next batch's number."""
    migrating = open_engine(owner_url, keys)
    upgrade(migrating)
    migrating.dispose()
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    sample = site.Sample(open_engine(url, keys), build_events(), now, now - SPAN, FileStore(data_dir / FILES))
    judge = Judge()
    site.furnish(sample)
    goods.receive(sample, sublots)
    batch = goods.feed(sample, judge, sample.began, now, 1)
    paper.write(sample)
    alerts.tell(sample)
    return sample, judge, batch


def go_on(sample: site.Sample, judge: Judge, since: datetime, until: datetime, batch: int) -> int:
    """What was measured in [since, until). Returns the next batch's number."""
    return goods.feed(sample, judge, since, until, batch)
