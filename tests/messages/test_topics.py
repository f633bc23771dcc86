from messages import topics
from messages.ids import DeviceId, EdgeId, SiteId

SITE, EDGE = SiteId("junmen"), EdgeId("pi-1")


def test_every_topic_of_an_edge_tells_where_it_came_from() -> None:
    for topic, leaf in ((topics.readings(SITE, EDGE), "readings"), (topics.status(SITE, EDGE), "status")):
        assert topics.origin(topic) == topics.Origin(SITE, EDGE, leaf)
    announced = topics.announcement(SITE, EDGE, DeviceId("gas-1"))
    assert topics.origin(announced) == topics.Origin(SITE, EDGE, "devices", DeviceId("gas-1"))


def test_a_topic_of_another_shape_has_no_origin() -> None:
    for topic in ("", "gridcall/2/a/b/readings", "gridcall/1/a/readings", topics.alarm(SITE, "a1"), "a/b/c/d/e/f"):
        assert topics.origin(topic) is None
