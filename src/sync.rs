//! The queue and wake-up primitives that the writer and the workers use, so that a test can explore their schedules.
