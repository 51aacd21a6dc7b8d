package badger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	engine "github.com/dgraph-io/badger/v4"

	"github.com/seed-dd2befc3/countersign/durable"
	"github.com/seed-dd2befc3/countersign/store/backup"
)

// migration migrates a store from one schema to the next. It is called again if it was interrupted.
type migration func(ctx context.Context, db *engine.DB) error

// migrations are in the order of the schemas they start from: 1, 2 and so on. The current schema is the one after the
// last. A store with a newer schema is not opened.
var migrations []migration

// migrate migrates a store to the current schema, after writing a backup next to its directory. The steps use Badger
// directly, so Badger syncs its files itself meanwhile.
func (s *Store) migrate(ctx context.Context, schema uint64, o Options) error {
	if err := s.reopenEngine(ctx, o, tuned(s.dir, s.log).WithSyncWrites(true)); err != nil {
		return err
	}
	if err := s.takeSteps(ctx, schema, o.migrations); err != nil {
		return err
	}
	return s.reopenEngine(ctx, o, tuned(s.dir, s.log))
}

func (s *Store) reopenEngine(ctx context.Context, o Options, e engine.Options) error {
	if err := s.closeEngine(); err != nil {
		return unavailable("closing %s: %w", s.dir, err)
	}
	return s.openEngine(ctx, o, e)
}

func (s *Store) takeSteps(ctx context.Context, schema uint64, steps []migration) error {
	latest := uint64(len(steps)) + 1
	kept := fmt.Sprintf("%s.schema-%d.backup", s.dir, schema)
	if err := s.backUp(ctx, kept); err != nil {
		return unavailable("the store must be migrated from schema %d to %d, and the backup before that failed: %w", schema, latest, err)
	}
	for ; schema < latest; schema++ {
		err := steps[schema-1](ctx, s.db)
		if err == nil {
			err = s.db.Update(func(txn *engine.Txn) error {
				return txn.Set(aboutKey(aboutSchema), binary.BigEndian.AppendUint64(nil, schema+1))
			})
		}
		if err != nil {
			return unavailable("migrating the store from schema %d to %d (a backup made before is at %s): %w", schema, schema+1, kept, err)
		}
		s.log.Info("migrated the store to a newer schema", slog.String("dir", s.dir), slog.Uint64("schema", schema+1), slog.String("backup", kept))
	}
	return nil
}

// backUp writes a backup to a file, unless it exists: then an earlier migration was interrupted after its backup.
func (s *Store) backUp(ctx context.Context, path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	unfinished := path + ".unfinished"
	f, err := os.OpenFile(unfinished, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = backup.Write(ctx, f, s, s.now())
	if err == nil {
		err = durable.Sync(f)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(unfinished, path); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(path)) // durable before anything is changed
}
