package prescription

import (
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Check applies the rules of $prepare in their order (EPS-1.12 to EPS-1.28). If it returns no issues, the bundle can be
// translated, which may still fail.
func (b *Bundle) Check(access Access) []Issue {
	if issue := b.checkKind(); issue != nil {
		return []Issue{*issue}
	}
	if issue := access.issue(); issue != nil {
		return []Issue{*issue}
	}
	requests := resources[medicationRequest](b)
	return slices.Concat(
		checkMedication(requests),
		b.checkTelecoms(),
		b.checkRoles(requests),
		checkSame(requests),
		b.checkPrimaryCare(requests),
		b.checkProfessionalCodes(),
		checkRepeatDispensing(requests),
		checkStatus(requests),
		checkItemNumbers(requests),
		checkDosages(requests),
	)
}

const prescriptionOrder = "prescription-order"

// checkKind checks that the bundle is a prescription order.
func (b *Bundle) checkKind() *Issue {
	if b.kind != "Bundle" {
		return &Issue{Severity: severityFatal, Code: codeValue, Diagnostics: "Incorrect FHIR resource type. Expected Bundle."}
	}
	code := ""
	if headers := resources[messageHeader](b); len(headers) > 0 {
		code = headers[0].EventCoding.Code
	}
	switch code {
	case prescriptionOrder:
		return nil
	case "prescription-order-update", "dispense-notification":
		issue := invalid("MessageHeader.eventCoding.code", "MessageHeader.eventCoding.code must be '%s'.", prescriptionOrder).Issue()
		return &issue
	}
	return &Issue{
		Severity: severityFatal, Code: codeValue,
		Diagnostics: "MessageHeader.eventCoding.code must be one of: prescription-order, prescription-order-update, dispense-notification.",
		Expression:  []string{"Bundle.entry.resource.ofType(MessageHeader).eventCoding.code"},
	}
}

func checkMedication(requests []*medicationRequest) []Issue {
	var issues []Issue
	if anyOf(requests, func(r *medicationRequest) bool { return r.Intent == "plan" || r.Intent == "reflex-order" }) {
		issues = append(issues, requestIssue("MedicationRequest.intent must be order, original-order or instance-order.", "intent"))
	}
	if anyOf(requests, func(r *medicationRequest) bool { return r.MedicationConcept != nil && r.MedicationReference != nil }) {
		issues = append(issues, coded(Issue{
			Severity: severityError, Code: codeStructure,
			Diagnostics: "MedicationRequest cannot contain both medicationReference and medicationCodeableConcept fields.",
		}, "CONFLICTING_VALUES", "Conflicting values have been specified in different fields"))
	}
	return issues
}

func anyOf(requests []*medicationRequest, holds func(*medicationRequest) bool) bool {
	return slices.ContainsFunc(requests, holds)
}

// checkTelecoms checks those of each Organization, then those of practitioners, then those of roles (EPS-1.18).
func (b *Bundle) checkTelecoms() []Issue {
	var issues []Issue
	for _, kind := range []string{"Organization", "Practitioner", "PractitionerRole"} {
		for i, e := range b.entries {
			if e.kind != kind {
				continue
			}
			for j, telecom := range telecomsOf(e.value) {
				for _, field := range []struct{ name, value string }{{"value", telecom.Value}, {"use", telecom.Use}} {
					if field.value == "" {
						issues = append(issues, invalidIssue(fmt.Sprintf("Required field bundle.entry[%d].resource.telecom[%d].%s is missing.", i, j, field.name)))
					}
				}
			}
		}
	}
	return issues
}

func telecomsOf(resource any) []contactPoint {
	switch r := resource.(type) {
	case *organization:
		return r.Telecom
	case *practitioner:
		return r.Telecom
	case *practitionerRole:
		return r.Telecom
	}
	return nil
}

// checkRoles requires that roles name their organization and services by reference (EPS-1.19). EPS lists the requester's
// organization twice (EPS-1.11).
func (b *Bundle) checkRoles(requests []*medicationRequest) []Issue {
	var issues []Issue
	requester := b.requester(requests)
	for _, role := range resources[practitionerRole](b) {
		if role.Organization != nil && role.Organization.Reference == "" {
			issue := notReferenced("practitionerRole.organization")
			issues = append(issues, issue)
			if role == requester {
				issues = append(issues, issue)
			}
		}
		if slices.ContainsFunc(role.HealthcareService, func(r reference) bool { return r.Reference == "" }) {
			issues = append(issues, notReferenced("practitionerRole.healthcareService"))
		}
	}
	return issues
}

func notReferenced(field string) Issue {
	return invalidIssue(field + " populated incorrectly. Please populate with Reference to resource within Bundle.")
}

// requester returns the role of the first request's requester, or nil.
func (b *Bundle) requester(requests []*medicationRequest) *practitionerRole {
	if len(requests) == 0 {
		return nil
	}
	return lookupOne[practitionerRole](b, &requests[0].Requester)
}

// checkPrimaryCare applies EPS-1.21 and EPS-1.22 to the requester.
func (b *Bundle) checkPrimaryCare(requests []*medicationRequest) []Issue {
	role := b.requester(requests)
	if role == nil || !isPrimaryCare(requests[0]) {
		return nil
	}
	var issues []Issue
	if len(role.HealthcareService) > 0 {
		issues = append(issues, invalidIssue("Unexpected field of practitionerRole.healthcareService."))
	}
	if home := lookupOne[organization](b, role.Organization); home != nil && home.PartOf == nil {
		issues = append(issues, invalidIssue("Required field organization.partOf is missing."))
	}
	return issues
}

func isPrimaryCare(request *medicationRequest) bool {
	return slices.ContainsFunc(extensionsOf(request.Extension, extPrescriptionType), func(e *extension) bool {
		return strings.HasPrefix(e.ValueCoding.Code, "01")
	})
}

// checkProfessionalCodes refuses GMP numbers (EPS-1.23).
func (b *Bundle) checkProfessionalCodes() []Issue {
	var issues []Issue
	for _, p := range resources[practitioner](b) {
		if slices.ContainsFunc(p.Identifier, func(i identifier) bool { return i.System == systemsUKCore+gmpNumber }) {
			issues = append(issues, Issue{
				Severity: severityError, Code: codeValue,
				Diagnostics: "Bundle resource Practitioner.identifier expected exactly one professional code from GMC|NMC|GPhC|HCPC|professional-code.",
			})
		}
	}
	return issues
}

func checkRepeatDispensing(requests []*medicationRequest) []Issue {
	var issues []Issue
	for _, field := range []struct {
		name  string
		value func(*medicationRequest) jsontext.Value
	}{
		{"dispenseRequest.validityPeriod", func(r *medicationRequest) jsontext.Value { return r.Dispense.ValidityPeriod }},
		{"dispenseRequest.expectedSupplyDuration", func(r *medicationRequest) jsontext.Value { return r.Dispense.SupplyDuration }},
	} {
		if anyOf(requests, func(r *medicationRequest) bool { return r.isRepeatDispensing() && field.value(r) == nil }) {
			issues = append(issues, requestIssue("Expected MedicationRequest to have a value for "+field.name+".", field.name))
		}
	}
	return issues
}

func (r *medicationRequest) isRepeatDispensing() bool {
	return slices.ContainsFunc(r.CourseOfTherapy.Coding, func(c coding) bool { return c.Code == repeatDispensing })
}

func checkStatus(requests []*medicationRequest) []Issue {
	if anyOf(requests, func(r *medicationRequest) bool { return r.Status != "active" }) {
		return []Issue{requestIssue("MedicationRequest.status must be active.", "status")}
	}
	return nil
}

func checkItemNumbers(requests []*medicationRequest) []Issue {
	seen := map[string]bool{}
	for _, request := range requests {
		for _, number := range which(request.Identifier, func(i *identifier) bool { return i.System == systemItemNumber }) {
			if seen[number.Value] {
				return []Issue{requestIssue("Expected all MedicationRequests to have a different value for identifier.", "identifier")}
			}
			seen[number.Value] = true
		}
	}
	return nil
}

func checkDosages(requests []*medicationRequest) []Issue {
	if !anyOf(requests, func(r *medicationRequest) bool {
		return len(r.Dosage) > 1 && slices.ContainsFunc(r.Dosage, func(d dosage) bool { return d.Sequence == nil })
	}) {
		return nil
	}
	return []Issue{{
		Severity: severityError, Code: codeInvalid,
		Details: &Details{Coding: []DetailCoding{{
			Code: "MISSING_VALUE", Display: "The request contains multiple dosage instruction lines but no corresponding dosage sequence number.",
		}}},
	}}
}
