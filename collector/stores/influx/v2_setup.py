"""What `setup` makes in InfluxDB 2.x: two buckets with their retention, and the task that fills the second."""

from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.domain.bucket_retention_rules import BucketRetentionRules
from influxdb_client.domain.task_create_request import TaskCreateRequest

from collector.stores.base import kept_for
from collector.stores.influx.flux import coarse_task
from messages.language import Phrase, phrase

SHORTEST_RETENTION_S = 3600
"""InfluxDB takes no shorter one."""


def bucket_there(client: InfluxDBClient, org: str, name: str, retention_ms: int | None) -> Phrase:
    """https://docs.influxdata.com/influxdb/v2/api/v2/#operation/PostBuckets; a rule of 0 s keeps for ever."""
    every_s = 0 if retention_ms is None else max(retention_ms // 1000, SHORTEST_RETENTION_S)
    kept = kept_for(every_s * 1000 if every_s else None)
    rule = BucketRetentionRules(type="expire", every_seconds=every_s)  # type: ignore[no-untyped-call]
    buckets = client.buckets_api()
    bucket = buckets.find_bucket_by_name(name)  # type: ignore[no-untyped-call]
    if bucket is None:
        buckets.create_bucket(bucket_name=name, retention_rules=[rule], org=org)
        return phrase("bucket {name} made, retention: {kept}", name=name, kept=kept)
    before = [one.every_seconds for one in bucket.retention_rules] or [0]
    if before == [every_s]:
        return phrase("bucket {name} is there, retention: {kept}, as it was", name=name, kept=kept)
    bucket.retention_rules = [rule]
    buckets.update_bucket(bucket)
    return phrase("bucket {name} is there, retention: {kept}, changed", name=name, kept=kept)


def task_there(client: InfluxDBClient, org: str, bucket: str) -> Phrase:
    """https://docs.influxdata.com/influxdb/v2/api/v2/#operation/PostTasks."""
    name = f"gridcall coarse ranges of {bucket}"
    tasks = client.tasks_api()
    flux = coarse_task(name, bucket)
    found = tasks.find_tasks(name=name)  # type: ignore[no-untyped-call]
    if found:
        if found[0].flux == flux:
            return phrase("task {name!r}: as it was", name=name)
        found[0].flux = flux
        tasks.update_task(found[0])
        return phrase("task {name!r}: changed", name=name)
    wish = TaskCreateRequest(org=org, flux=flux, status="active")  # type: ignore[no-untyped-call]
    tasks.create_task(task_create_request=wish)
    return phrase("task {name!r}: made", name=name)
