package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Evidence is what is known about a log from elsewhere.
type Evidence struct {
	Keys  [][]byte   // JWK sets of keys known to be the gateway's
	Heads []Position // positions that the log must contain
}

// Report is the result of Verify.
type Report struct {
	Node     string    `json:"node,omitempty"` // the log's name; empty for logs of older versions
	Entries  uint64    `json:"entries"`
	Heads    int       `json:"heads"`              // signed heads, all verified
	Head     *Head     `json:"head,omitempty"`     // the last one
	Unsigned int       `json:"unsigned"`           // entries after the last head, which could be cut off unnoticed
	From     uint64    `json:"from"`               // number of the first entry; above 1 if files were removed
	Removals []Removal `json:"removals,omitempty"` // the records of that
	Late     int       `json:"late,omitempty"`     // heads later than promised; the log gives the reasons
	Torn     int       `json:"torn,omitempty"`     // bytes of an incomplete last line, which was never acknowledged
	First    time.Time `json:"first,omitzero"`     // time of the first entry
	Last     time.Time `json:"last,omitzero"`      // time of the last entry
	KIDs     []string  `json:"kids"`               // of the keys that signed heads
	Trusted  bool      `json:"trusted"`            // keys from outside of the log were given
	Vouched  []string  `json:"vouched,omitempty"`  // those of KIDs that the given keys vouch for through the log
	Unknown  []string  `json:"unknown,omitempty"`  // those of KIDs that they do not vouch for
}

// Removal is the record of files that were removed.
type Removal struct {
	Entry   uint64    `json:"entry"` // number of the record
	Time    time.Time `json:"time"`
	Through uint64    `json:"through"` // number of the last removed entry

	files []File
	by    string // kid of the head that signs it; empty: none yet
	head  uint64 // entry of that head
}

// Verify reads a whole log and checks every hash, every link, every head, that heads are where they were promised, and the
// evidence. The error is the first check that fails; the report tells how far the log was intact.
//
// A log passes if no entries after its last head exceed the promise. A log cut back to an earlier head passes too, unless
// the evidence has a later one.
func Verify(dir string, of Evidence) (Report, error) {
	v := verifier{ring: newKeyring(), names: map[string]bool{}, wanted: map[uint64][]string{}}
	err := v.expect(of)
	if err == nil {
		var found origin
		found, err = read(dir, v.entry)
		v.report.Torn = found.torn
		if err == nil {
			err = v.finish(found, of)
		}
	}
	v.report.Unsigned, v.report.Trusted, v.report.KIDs = v.unsigned, len(v.ring.outside) > 0, v.ring.signed
	v.report.Vouched, v.report.Unknown = v.ring.vouched()
	return v.report, err
}

type verifier struct {
	report   Report
	ring     *keyring
	gap      gap
	version  int // of the last head
	unsigned int // entries of any kind since the last head
	last     Entry
	log      string              // its random name
	names    map[string]bool     // every name that the node had
	wanted   map[uint64][]string // hashes that the log must contain, by number
}

func (v *verifier) expect(of Evidence) error {
	for _, set := range of.Keys {
		if err := v.ring.trust(set); err != nil {
			return fmt.Errorf("trusted keys: %w", err)
		}
	}
	for _, position := range of.Heads {
		if !slices.Contains(v.wanted[position.Number], position.Hash) {
			v.wanted[position.Number] = append(v.wanted[position.Number], position.Hash)
		}
	}
	return nil
}

func (v *verifier) entry(e Entry) error {
	v.report.Entries++
	if v.report.Entries == 1 {
		v.report.First, v.report.From = e.Time, e.Seq
	}
	v.report.Last = e.Time
	var err error
	switch e.Kind {
	case kindHead:
		err = v.head(e)
	case kindKey:
		err = v.ring.introduce(e.Data)
	case kindLog:
		err = v.named(e)
	case kindRemoved:
		err = v.removed(e)
	}
	if e.Kind == kindHead {
		v.unsigned = 0
	} else {
		v.unsigned++
	}
	v.gap.add(e)
	v.last = e
	for _, hash := range v.wanted[e.Seq] {
		if hash != e.Hash {
			return fmt.Errorf("entry %d is not the one of the head that was kept: this is another log, or it was rewritten from before that entry", e.Seq)
		}
	}
	return err
}

func (v *verifier) named(e Entry) error {
	var name naming
	if err := json.Unmarshal(e.Data, &name); err != nil {
		return err
	}
	if v.log != "" && v.log != name.Log {
		return errors.New("this entry belongs to another log than those before it")
	}
	v.log, v.report.Node, v.names[name.Node] = name.Log, name.Node, true
	if name.Opened {
		v.ring.reopened()
		v.report.Removals = slices.DeleteFunc(v.report.Removals, func(r Removal) bool { return r.by == "" })
	}
	return nil
}

func (v *verifier) removed(e Entry) error {
	var record removal
	if err := json.Unmarshal(e.Data, &record); err != nil {
		return err
	}
	if len(record.Files) == 0 {
		return errors.New("this record of a removal names no file")
	}
	through := record.Files[len(record.Files)-1].Last
	v.report.Removals = append(v.report.Removals, Removal{Entry: e.Seq, Time: e.Time, Through: through, files: record.Files})
	return nil
}

func (v *verifier) head(e Entry) error {
	var signed head
	if err := json.Unmarshal(e.Data, &signed); err != nil {
		return err
	}
	if err := v.ring.accept(signed, headMessage(v.last.Seq, v.last.Hash), e.Seq); err != nil {
		return err
	}
	if v.gap.overdue(e.Time) {
		if signed.Version >= headVersion && !v.gap.explained {
			return v.gap.broken(e.Time)
		}
		v.report.Late++
	}
	for i := range v.report.Removals {
		if r := &v.report.Removals[i]; r.by == "" {
			r.by, r.head = signed.KID, e.Seq
		}
	}
	v.report.Heads++
	v.version = signed.Version
	v.report.Head = &Head{Position: e.position(v.report.Node), Log: v.log, Time: e.Time, KID: signed.KID}
	return nil
}

// finish checks what only the whole log shows.
func (v *verifier) finish(found origin, of Evidence) error {
	if v.report.Entries == 0 {
		return errors.New("the log is empty, but every log begins with a head")
	}
	if v.report.Heads == 0 {
		return errors.New("the log has no head, so nothing in it is signed")
	}
	if err := v.ring.judge(); err != nil {
		return err
	}
	if err := v.tail(); err != nil {
		return err
	}
	if before := found.before; before.Seq > 0 && v.removal(before.Seq, before.Hash) == nil {
		return fmt.Errorf("entries up to %d are missing, and no signed record says that they were removed", before.Seq)
	}
	return v.contained(of.Heads)
}

// tail checks the entries after the last head. Explanations do not count there, because no head signs them.
func (v *verifier) tail() error {
	at := v.report.Last
	if v.version < headVersion && v.gap.entries <= legacyEntries && at.Sub(v.gap.since) <= promisedWithin {
		return nil
	}
	if v.gap.overdue(at) {
		return v.gap.broken(at)
	}
	return nil
}

func (v *verifier) contained(heads []Position) error {
	for _, kept := range heads {
		switch {
		case kept.Node != "" && !v.names[kept.Node]:
			return fmt.Errorf("head %s is of the log of node %s; this is that of %s", kept, kept.Node, orElse(v.report.Node, "a node without a name"))
		case kept.Number < v.report.From && v.removal(kept.Number, kept.Hash) == nil:
			return fmt.Errorf("head %s is before entry %d, with which the log begins since earlier files were removed%s: check it against a copy of those",
				kept, v.report.From, v.lastRemoval())
		case kept.Number > v.last.Seq:
			return fmt.Errorf("the log ends at entry %d, before the head %s: it was cut back, or is another log", v.last.Seq, kept)
		}
	}
	return nil
}

// removal returns the signed record of the removal of everything up to this entry, or nil.
func (v *verifier) removal(through uint64, hash string) *Removal {
	for i := range v.report.Removals {
		record := &v.report.Removals[i]
		for _, file := range record.files {
			if file.Last == through && file.Hash == hash && record.by != "" && v.ring.stands(record.by, record.head) {
				return record
			}
		}
	}
	return nil
}

func (v *verifier) lastRemoval() string {
	if len(v.report.Removals) == 0 {
		return ""
	}
	last := v.report.Removals[len(v.report.Removals)-1]
	return fmt.Sprintf(", as entry %d of %s says", last.Entry, last.Time.Format(time.RFC3339))
}
