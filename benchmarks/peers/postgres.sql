-- The same work in PostgreSQL: an order stored once with its content, its stock taken in the same transaction
-- and never below zero, all lines or none; an id that was used before is refused by the primary key.
--
-- Choices in favour of PostgreSQL: keys compare as bytes (COLLATE "C"); an order is one row, with lines and
-- details in jsonb; stock pages are half empty, so that an update stays on its page and touches no index; one
-- order is one round trip and one prepared statement; the client sorts an order's items, and those of a batch
-- are locked in that order too, so no two of them ever wait for each other in a circle. The order is from the
-- last name to the first: the hot item has the first name, so its lock comes last and is held for the least time.

CREATE TABLE stock (
    sku       text COLLATE "C" PRIMARY KEY,
    available bigint NOT NULL CHECK (available >= 0)
) WITH (fillfactor = 50);

CREATE TABLE orders (
    id        text COLLATE "C" PRIMARY KEY,
    customer  text COLLATE "C" NOT NULL,
    status    smallint NOT NULL,
    placed_at timestamptz NOT NULL,
    body      jsonb NOT NULL
);

-- pgbench has numbers only: these make the strings of them, at less cost than a statement of their own.

CREATE FUNCTION sku(n bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT 'SKU-' || lpad(n::text, 6, '0') $$;

CREATE FUNCTION customer(n bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT 'customer-' || lpad(n::text, 6, '0') $$;

-- 36 characters that rise with time, as a UUIDv7's do.
CREATE FUNCTION new_id(noise bigint) RETURNS text LANGUAGE sql VOLATILE
AS $$ SELECT lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
          || '-7000-8000-' || lpad(to_hex(noise), 13, '0') $$;

-- One order. Its stock is taken last: a hot item stays locked for the shortest time.
CREATE FUNCTION place(id text, customer text, skus text[], quantities bigint[], body jsonb)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO orders VALUES (id, customer, 1, now(), body);
    FOR n IN 1 .. cardinality(skus) LOOP
        UPDATE stock s SET available = s.available - quantities[n]
            WHERE s.sku = skus[n] AND s.available >= quantities[n];
        IF NOT FOUND THEN
            RAISE EXCEPTION 'insufficient stock of %', skus[n] USING ERRCODE = 'TS001';
        END IF;
    END LOOP;
    RETURN true;
END $$;

-- Many orders in one statement: what they want is summed by item and taken at once. If that is more than there
-- is, nothing happens, and the client places them one by one. `items` are moved by `shift` (modulo `modulus`),
-- and customers with them, so that a client that sends the same arrays again means other ones.
CREATE FUNCTION place_many(
    noise bigint, customers bigint[], bodies jsonb[], items bigint[], quantities bigint[], shift bigint,
    modulus bigint
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    prefix text := left(new_id(noise), 33);
    skus   text[];
    wanted bigint[];
    taken  bigint;
    placed bigint;
BEGIN
    INSERT INTO orders
        SELECT prefix || lpad(o.n::text, 3, '0'), customer((o.customer + shift) % 50000), 1, now(), o.body
        FROM unnest(customers, bodies) WITH ORDINALITY AS o(customer, body, n);
    GET DIAGNOSTICS placed = ROW_COUNT;
    SELECT array_agg(w.sku), array_agg(w.quantity) INTO skus, wanted
    FROM (
        -- Item 0 is the hot one, and stays itself.
        SELECT sku(CASE l.item WHEN 0 THEN 0 ELSE 1 + (l.item + shift) % modulus END) AS sku,
               sum(l.quantity)::bigint AS quantity
        FROM unnest(items, quantities) AS l(item, quantity) GROUP BY 1 ORDER BY 1 DESC
    ) w;
    -- OFFSET 0: the planner keeps the order of the array, in which rows are locked.
    UPDATE stock s SET available = s.available - w.quantity
        FROM (SELECT * FROM unnest(skus, wanted) AS u(sku, quantity) OFFSET 0) w
        WHERE s.sku = w.sku AND s.available >= w.quantity;
    GET DIAGNOSTICS taken = ROW_COUNT;
    IF taken < cardinality(skus) THEN
        RAISE EXCEPTION 'insufficient stock' USING ERRCODE = 'TS001';
    END IF;
    RETURN placed;
END $$;
