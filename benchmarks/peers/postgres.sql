-- The same work in PostgreSQL: an order of about 300 bytes stored once, its stock taken in the same
-- transaction, never below zero, all lines or none; a repeated id changes nothing.
--
-- Choices that favour PostgreSQL: text keys compare as bytes (COLLATE "C"); orders are one row, lines and
-- details in jsonb, as they come over the wire; stock pages are half empty, so that an update stays on its
-- page and touches no index; functions, so that an order is one round trip and one prepared statement.

CREATE TABLE stock (
    sku       text COLLATE "C" PRIMARY KEY,
    available bigint NOT NULL CHECK (available >= 0)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.5);

CREATE TABLE orders (
    id        text COLLATE "C" PRIMARY KEY,
    customer  text COLLATE "C" NOT NULL,
    status    smallint NOT NULL,
    placed_at timestamptz NOT NULL,
    body      jsonb NOT NULL
);

CREATE FUNCTION sku(n bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT 'SKU-' || lpad(n::text, 6, '0') $$;

-- 36 characters in order of time, as a UUIDv7 is. pgbench cannot make strings, so they are made here from
-- random numbers that it sends; `place_many` makes the first 33 once a statement.
CREATE FUNCTION new_id(noise bigint) RETURNS text LANGUAGE sql VOLATILE
AS $$ SELECT lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
          || '-7000-8000-' || lpad(to_hex(noise), 12, '0') $$;

-- One order of one line. Answers true if it was accepted, false if stock is short.
CREATE FUNCTION place_1(id text, customer text, sku text, quantity bigint, body jsonb)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO orders VALUES (id, customer, 1, now(), body) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN true;  -- placed before
    END IF;
    UPDATE stock s SET available = s.available - quantity
        WHERE s.sku = place_1.sku AND s.available >= quantity;
    IF NOT FOUND THEN
        DELETE FROM orders o WHERE o.id = place_1.id;
        RETURN false;
    END IF;
    RETURN true;
END $$;

-- One order of several lines: items are locked in the order of their names, so that no two orders wait for
-- each other in a circle.
CREATE FUNCTION place_n(id text, customer text, skus text[], quantities bigint[], body jsonb)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    want record;
BEGIN
    INSERT INTO orders VALUES (id, customer, 1, now(), body) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN true;
    END IF;
    FOR want IN
        SELECT w.sku, sum(w.quantity)::bigint AS quantity
        FROM unnest(skus, quantities) AS w(sku, quantity) GROUP BY w.sku ORDER BY w.sku
    LOOP
        UPDATE stock s SET available = s.available - want.quantity
            WHERE s.sku = want.sku AND s.available >= want.quantity;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'insufficient stock of %', want.sku USING ERRCODE = 'TS001';
        END IF;
    END LOOP;
    RETURN true;
END $$;

CREATE FUNCTION place_n2(id text, customer text, skus text[], quantities bigint[], body jsonb)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    wanted bigint;
    ok bigint;
BEGIN
    INSERT INTO orders VALUES (id, customer, 1, now(), body) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN true;
    END IF;
    WITH want AS MATERIALIZED (
        SELECT w.sku, sum(w.quantity)::bigint AS quantity
        FROM unnest(skus, quantities) AS w(sku, quantity) GROUP BY w.sku
    ), locked AS MATERIALIZED (
        SELECT s.sku FROM stock s WHERE s.sku = ANY(skus) ORDER BY s.sku FOR NO KEY UPDATE
    ), upd AS (
    UPDATE stock s SET available = s.available - want.quantity
       FROM want JOIN locked USING (sku) WHERE s.sku = want.sku AND s.available >= want.quantity
       RETURNING 1)
    SELECT (SELECT count(*) FROM want), (SELECT count(*) FROM upd) INTO wanted, ok;
    IF wanted <> ok THEN
            RAISE EXCEPTION 'insufficient stock' USING ERRCODE = 'TS001';
    END IF;
    RETURN true;
END $$;

-- hand-sorted 3
CREATE FUNCTION place_3(id text, customer text, s1 text, s2 text, s3 text, body jsonb)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE t text;
BEGIN
    INSERT INTO orders VALUES (id, customer, 1, now(), body) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN true;
    END IF;
    IF s1 > s2 THEN t := s1; s1 := s2; s2 := t; END IF;
    IF s2 > s3 THEN t := s2; s2 := s3; s3 := t; END IF;
    IF s1 > s2 THEN t := s1; s1 := s2; s2 := t; END IF;
    UPDATE stock s SET available = s.available - 1 WHERE s.sku = s1 AND s.available >= 1;
    IF NOT FOUND THEN RAISE EXCEPTION 'insufficient stock' USING ERRCODE = 'TS001'; END IF;
    UPDATE stock s SET available = s.available - 1 WHERE s.sku = s2 AND s.available >= 1;
    IF NOT FOUND THEN RAISE EXCEPTION 'insufficient stock' USING ERRCODE = 'TS001'; END IF;
    UPDATE stock s SET available = s.available - 1 WHERE s.sku = s3 AND s.available >= 1;
    IF NOT FOUND THEN RAISE EXCEPTION 'insufficient stock' USING ERRCODE = 'TS001'; END IF;
    RETURN true;
END $$;

-- Many orders in one statement, each all or none, judged in the order given. `line_orders[i]` says which order
-- line i belongs to. If the stock is enough for all of them, which is seen under the locks, three statements
-- do it; if not, each order is judged alone.
CREATE FUNCTION place_many(
    ids text[], customers text[], bodies jsonb[], line_orders int[], skus text[], quantities bigint[])
RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    short bigint; placed int;
BEGIN
    WITH want AS MATERIALIZED (
        SELECT w.sku, sum(w.quantity)::bigint AS quantity
        FROM unnest(skus, quantities) AS w(sku, quantity) GROUP BY w.sku ORDER BY w.sku
    ), locked AS MATERIALIZED (
        SELECT s.sku, s.available FROM stock s WHERE s.sku = ANY(skus) ORDER BY s.sku FOR NO KEY UPDATE
    )
    SELECT count(*) FILTER (WHERE l.available IS NULL OR l.available < w.quantity) INTO short
    FROM want w LEFT JOIN locked l USING (sku);
    IF short > 0 THEN
      RAISE EXCEPTION 'short';
    END IF;
    INSERT INTO orders
        SELECT o.id, o.customer, 1, now(), o.body FROM unnest(ids, customers, bodies) AS o(id, customer, body)
        ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS placed = ROW_COUNT;
    UPDATE stock s SET available = s.available - w.quantity
    FROM (SELECT w.sku, sum(w.quantity)::bigint AS quantity
          FROM unnest(skus, quantities) AS w(sku, quantity) GROUP BY w.sku) w
    WHERE s.sku = w.sku;
    RETURN placed;
END $$;
