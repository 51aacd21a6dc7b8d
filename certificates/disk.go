package certificates

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// suffix of the files of lists. Each file is a line of JSON followed by the list as received.
const suffix = ".crl"

// label is the first line of a list's file.
type label struct {
	URL       string    `json:"url"`
	Signer    []byte    `json:"signer"` // DER
	Read      time.Time `json:"read"`
	Asked     time.Time `json:"asked"`
	Validator validator `json:"validator"`
}

// errElsewhere is returned for a file that belongs to another user of the directory, which may fetch from other hosts.
var errElsewhere = errors.New("host may not be contacted")

// store keeps a list across restarts. A failure to do so is no reason to refuse anything.
func (r *Revocations) store(key string, of label, der []byte) {
	if r.Dir == "" || r.Local[of.URL] != nil {
		return
	}
	if err := r.write(key, of, der); err != nil {
		r.Logger.Warn("could not store a revocation list on disk; it is fetched again after a restart", "error", err)
	}
}

func (r *Revocations) write(key string, of label, der []byte) error {
	head, err := json.Marshal(of)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(r.Dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(r.Dir, key+".*.new")
	if err != nil {
		return err
	}
	_, err = f.Write(append(append(head, '\n'), der...))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(r.Dir, key+suffix))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// unkeep removes a list's file. r.mu must be held.
func (r *Revocations) unkeep(h *held) {
	if r.Dir == "" {
		return
	}
	if err := os.Remove(filepath.Join(r.Dir, h.key+suffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.Logger.Warn("could not remove the file of a revocation list", "error", err)
	}
}

// warm reads stored lists. Invalid files are removed; lists fetched meanwhile are kept.
func (r *Revocations) warm() {
	files, err := filepath.Glob(filepath.Join(r.Dir, "*"+suffix))
	if r.Dir == "" || err != nil {
		return
	}
	warmed := 0
	for _, path := range files[:min(len(files), maxLists)] {
		if r.life.Err() != nil {
			return
		}
		if err := r.readFile(path); errors.Is(err, errElsewhere) {
			continue
		} else if err != nil {
			r.Logger.Warn("a stored revocation list was invalid and is fetched again", "file", filepath.Base(path), "error", err)
			_ = os.Remove(path) //nolint:gosec // it is in our own directory; if it stays, it is rejected again
			continue
		}
		warmed++
	}
	if warmed > 0 {
		r.Logger.Info("read revocation lists from disk", "lists", warmed)
	}
}

func (r *Revocations) readFile(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Size() > r.MaxBytes+64<<10 {
		return errors.New("file is too large")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	first, der, found := bytes.Cut(text, []byte("\n"))
	var kept label
	if !found || json.Unmarshal(first, &kept) != nil {
		return errors.New("file has no first line")
	}
	signer, err := x509.ParseCertificate(kept.Signer)
	if err != nil {
		return errors.New("file does not name the signer")
	}
	if _, err := r.address(kept.URL); err != nil {
		return errElsewhere
	}
	l, err := readList(der, signer, r.MaxEntries, r.Now())
	if err != nil {
		return err
	}
	h := r.place(kept.URL, signer)
	if filepath.Base(path) != h.key+suffix {
		return errors.New("file has the name of another list")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if h.list == nil {
		h.read, h.validator, h.asked = kept.Read, kept.Validator, kept.Asked
		h.next = kept.Read.Add(min(r.Refresh, max(l.nextUpdate.Sub(kept.Read)/2, time.Minute)))
		r.keep(h, l)
	}
	return nil
}
