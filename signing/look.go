package signing

import "net/http"

// keepLooks keeps which prescriptions of a session the person has looked at, so that what is sent again needs no second
// reading. It is kept with the display, by its digest, for this person, and means nothing for what may be signed.
func (s *Service) keepLooks(w http.ResponseWriter, r *http.Request) error {
	read, base, err := s.readCallOf(w, r, maxNamed)
	if err != nil {
		return err
	}
	found, _, err := s.displayable(w, r, base, read.ID)
	if err != nil {
		return err
	}
	items, err := s.sessions.payloads(r.Context(), found)
	if err != nil {
		return err
	}
	named := 0
	var looked, not [][]byte
	for _, it := range items {
		now, ok := read.Looked[it.ID]
		switch {
		case !ok:
			continue
		case now:
			looked = append(looked, it.Payload)
		default:
			not = append(not, it.Payload)
		}
		named++
	}
	if named != len(read.Looked) {
		return badRequest("malformed", "The call names an item that the request does not have")
	}
	if err := s.Displays.Look(r.Context(), found.Client, found.Sub, looked, true); err != nil {
		return unavailable("displays: " + err.Error())
	}
	if err := s.Displays.Look(r.Context(), found.Client, found.Sub, not, false); err != nil {
		return unavailable("displays: " + err.Error())
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
