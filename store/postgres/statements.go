package postgres

import "strings"

// statements is all the SQL of an open store. It is common to PostgreSQL, CockroachDB and YugabyteDB: no advisory
// locks, no notifications, no functions of our own, no statement that changes one table twice.
//
// No prepared statement gives the planner a choice that it could make badly, and keep, on a table without
// statistics: each row is looked up by one value of an index.
type statements struct {
	begin, commit, rollback string

	get   string // keys, now
	list  string // index, after, now, limit
	claim string // queue, now, n, due, maximum bytes
	dump  string // now

	// These lock the row of their key, or its place in the index of keys, until the transaction ends.
	hold    string // key, version, now; returns a row if the record exists
	put     string // a record's columns; puts it, whatever was there
	insert  string // a record's columns, now; puts it if there is no record
	reserve string // key, now; takes the key's place if there is no record
	waitFor string // key; takes its place if there is no row, after waiting for a concurrent insert
	delete  string // key

	sweep      string // before, limit
	durability string
}

// alive is the condition that a row has not expired.
const alive = `(r.expires IS NULL OR r.expires > $now)`

func newStatements(schema string) statements {
	in := func(sql string, now string) string {
		sql = strings.ReplaceAll(sql, "$alive", alive)
		sql = strings.ReplaceAll(sql, "$columns", "r.key, r.version, r.value, r.expires, r.queue, r.due, r.idx")
		sql = strings.ReplaceAll(sql, "$now", now)
		return strings.ReplaceAll(sql, "$schema", schema)
	}
	const put = `INSERT INTO $schema.records AS r (key, version, value, expires, queue, due, idx)
		VALUES ($1, nextval('$schema.versions'), $2, $3, $4, $5, $6)
		ON CONFLICT (key) DO UPDATE SET version = excluded.version, value = excluded.value, expires = excluded.expires,
			queue = excluded.queue, due = excluded.due, idx = excluded.idx`
	const ifExpired = ` WHERE r.expires <= $now`
	return statements{
		begin:    `BEGIN ISOLATION LEVEL READ COMMITTED`,
		commit:   `COMMIT`,
		rollback: `ROLLBACK`,
		get: in(`SELECT $columns FROM unnest($1::bytea[]) AS k (key)
			CROSS JOIN LATERAL (SELECT * FROM $schema.records AS r WHERE r.key = k.key AND $alive LIMIT 1) AS r`, "$2"),
		list: in(`SELECT $columns FROM $schema.records AS r
			WHERE r.idx = $1 AND r.key > $2 AND $alive ORDER BY r.key LIMIT $4`, "$3"),
		dump: in(`SELECT $columns FROM $schema.records AS r WHERE $alive ORDER BY r.key`, "$1"),
		claim: in(`WITH locked AS (
				SELECT r.key, r.due,
					octet_length(r.key) + octet_length(r.value) + octet_length(r.queue) + coalesce(octet_length(r.idx), 0) AS size
				FROM $schema.records AS r
				WHERE r.queue = $1 AND r.due <= $now AND $alive
				ORDER BY r.due, r.key LIMIT $3 FOR UPDATE SKIP LOCKED
			), fit AS (
				SELECT key, due FROM (SELECT key, due, sum(size) OVER (ORDER BY due, key) AS total FROM locked) AS l
				WHERE total <= $5
			)
			UPDATE $schema.records AS r SET due = $4, version = nextval('$schema.versions')
			FROM fit WHERE r.key = fit.key RETURNING $columns, fit.due`, "$2"),
		hold:   in(`SELECT 1 FROM $schema.records AS r WHERE r.key = $1 AND r.version = $2 AND $alive FOR UPDATE`, "$3"),
		put:    in(put, ""),
		insert: in(put+ifExpired, "$7"),
		reserve: in(`INSERT INTO $schema.records AS r (key, version, value) VALUES ($1, 0, '')
			ON CONFLICT (key) DO UPDATE SET version = 0`+ifExpired, "$2"),
		waitFor: in(`INSERT INTO $schema.records (key, version, value) VALUES ($1, 0, '') ON CONFLICT (key) DO NOTHING`, ""),
		delete:  in(`DELETE FROM $schema.records WHERE key = $1`, ""),
		sweep: in(`DELETE FROM $schema.records WHERE key IN (
				SELECT key FROM $schema.records WHERE expires <= $1 ORDER BY expires LIMIT $2 FOR UPDATE SKIP LOCKED)`, ""),
		durability: `SELECT coalesce(current_setting('synchronous_commit', true), ''), coalesce(current_setting('fsync', true), '')`,
	}
}
