-- Auctions with the fee of their category, where it is known.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (id)
AS SELECT a.id, a.item_name, c.name AS category, a.initial_bid * c.fee AS fee, a.reserve - a.initial_bid AS margin
FROM STREAM auction a LEFT JOIN categories c ON a.category = c.id;
