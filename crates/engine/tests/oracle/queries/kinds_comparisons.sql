-- Comparisons across types.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (id)
AS SELECT id, tiny < small AS a, whole <= large AS b, single > real AS c, price <> exact AS d, tiny = price AS e, day < moment AS f, word > 'V' AS g, large > real AS h, flag = (tiny > 0) AS i FROM STREAM kinds;
