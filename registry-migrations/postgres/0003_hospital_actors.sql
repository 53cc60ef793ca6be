-- A hospital's own administrator changes its mapping: one more kind of actor.

ALTER TABLE operator_events DROP CONSTRAINT operator_events_actor_kind_check;
ALTER TABLE operator_events ADD CONSTRAINT operator_events_actor_kind_check
    CHECK (actor_kind IN ('operator', 'console', 'work_order', 'hospital'));
