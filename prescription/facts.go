package prescription

import "slices"

// These methods return what an operator may know of a bundle. It is not about the patient.

// Items returns the number of MedicationRequests.
func (b *Bundle) Items() int { return len(resources[medicationRequest](b)) }

// PrescriptionType returns the code of the first request's prescription type, such as 0101, or "" if it has none that a
// code can be.
func (b *Bundle) PrescriptionType() string {
	requests := resources[medicationRequest](b)
	if len(requests) == 0 {
		return ""
	}
	for _, found := range extensionsOf(requests[0].Extension, extPrescriptionType) {
		if code := found.ValueCoding.Code; isTypeCode(code) {
			return code
		}
	}
	return ""
}

// isTypeCode keeps texts that a client could put in the place of a code from being logged.
func isTypeCode(code string) bool {
	return len(code) > 0 && len(code) <= 4 && !slices.ContainsFunc([]byte(code), func(c byte) bool { return c < '0' || c > '9' })
}
