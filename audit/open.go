package audit

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/seed-dd2befc3/countersign/durable"
)

// open finds the end of the chain and gets ready to append to it.
func (l *Log) open() error {
	if err := durable.MkdirAll(l.Dir, 0o700); err != nil {
		return err
	}
	var err error
	if l.lock, err = lockFile(filepath.Join(l.Dir, "lock")); err != nil {
		return err
	}
	first, names, err := fileNames(l.Dir)
	if err != nil {
		return err
	}
	tail, err := l.tail(names)
	if err != nil {
		return err
	}
	dropped := int64(0)
	for i, name := range tail {
		torn, err := l.resume(name, i == len(tail)-1)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		dropped += torn
	}
	if err := l.begin(names); err != nil {
		return err
	}
	if l.gap.entries > 0 {
		l.why = "the gateway was not running"
	}
	if err := l.callIt(); err != nil {
		return err
	}
	l.reopen()
	if err := l.openFile(first + max(len(names), 1) - 1); err != nil {
		return err
	}
	if dropped > 0 {
		l.Logger.Warn("removed an incomplete last line from the audit log; it was never acknowledged",
			"dir", l.Dir, "bytes", dropped)
		data, err := json.Marshal(map[string]int64{"dropped_bytes": dropped})
		if err != nil {
			return err
		}
		return l.put(l.Now(), Entry{Kind: kindRecovered, Data: data})
	}
	return nil
}

// begin determines when the log began.
func (l *Log) begin(names []string) error {
	l.began = l.Now()
	if len(names) == 0 {
		return nil
	}
	first, found, err := firstEntry(filepath.Join(l.Dir, names[0]))
	if found {
		l.began = first.Time
	}
	return err
}

// reopen makes the first entry of this process name the log again, and introduces keys again that no head has signed,
// because it is not known who wrote them.
func (l *Log) reopen() {
	l.name.Opened = l.last.Seq > 0
	l.named = l.named && !l.name.Opened
	for _, kid := range l.unsigned {
		delete(l.known, kid)
	}
}

// callIt determines the log's name: the configured one, or its current one, or one derived from the machine's.
func (l *Log) callIt() error {
	if l.name.Log == "" {
		id := make([]byte, 16)
		if _, err := rand.Read(id); err != nil {
			return err
		}
		l.name, l.named = naming{Node: l.Node, Log: hex.EncodeToString(id)}, false
	}
	if l.name.Node == "" {
		l.name.Node = nodeFrom(l.Host)
	}
	if l.Node != "" && l.Node != l.name.Node {
		l.rename(l.Node)
	}
	return nil
}

func (l *Log) rename(node string) {
	l.name.Was, l.name.Node, l.named = l.name.Node, node, false
}

// tail returns the files to read for the end of the chain: the last one with a head, and those after it. Verify reads the
// rest of a long log.
func (l *Log) tail(names []string) ([]string, error) {
	for i := len(names) - 1; i > 0; i-- {
		signed, err := anyLine(filepath.Join(l.Dir, names[i]), func(line []byte) bool {
			if !bytes.Contains(line, []byte(`,"kind":"`+kindHead+`",`)) {
				return false
			}
			e, err := parse(line)
			return err == nil && e.Kind == kindHead
		})
		if signed || err != nil {
			return names[i:], err
		}
	}
	return names, nil
}

// resume follows the chain through one file. If it is the last, it removes an incomplete last line.
func (l *Log) resume(name string, last bool) (torn int64, err error) {
	path := filepath.Join(l.Dir, name)
	whole, size := int64(0), int64(0)
	l.beginFile()
	err = readLines(path, func(line []byte, complete bool) error {
		size += int64(len(line)) + 1
		if !complete && last {
			torn = int64(len(line))
			return nil
		}
		e, err := parse(line)
		if err == nil && (l.last.Seq > 0 || e.Seq == 1) { // otherwise the chain before it is in files that are not read
			err = e.follows(l.last)
		}
		if err != nil {
			return err
		}
		whole = size
		l.note(e)
		return nil
	})
	if err == nil && torn > 0 {
		err = os.Truncate(path, whole)
	}
	return torn, err
}

// beginFile resets what has to be in each file.
func (l *Log) beginFile() { l.named, l.known, l.since = false, map[string]bool{}, time.Time{} }

// note updates the writer's state by an entry of the log.
func (l *Log) note(e Entry) {
	l.last = e
	l.gap.add(e)
	if l.since.IsZero() {
		l.since = e.Time
	}
	switch e.Kind {
	case kindHead:
		l.head, l.unsigned = e, nil
	case kindLog:
		var name naming
		if json.Unmarshal(e.Data, &name) == nil && CheckNode(name.Node) == nil {
			l.name, l.named = naming{Node: name.Node, Log: name.Log}, true
		}
	case kindKey:
		var key publicKey
		if json.Unmarshal(e.Data, &key) == nil {
			l.known[key.KID], l.unsigned = true, append(l.unsigned, key.KID)
		}
	}
}
