-- A step that ends whoever carries it out, every time, must not be begun for ever: how often the step at hand
-- was begun by a gateway that did not see it end, because it was killed or lost its lease.

ALTER TABLE operations ADD COLUMN broken_off BIGINT NOT NULL DEFAULT 0 CHECK (broken_off >= 0);
