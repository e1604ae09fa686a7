"""Settings of nbgrader for this course; commands are run from this folder."""

c = get_config()  # noqa: F821, nbgrader puts it there

c.CourseDirectory.course_id = "mobilenet"

# Seconds that one cell may run. The longest cell of a right submission trains
# a small network, a quarter of a minute on two cores; an endless loop is
# stopped here and costs its own test cells alone.
c.Execute.timeout = 120
