package openapi_test

import (
	"testing"

	"github.com/seed-dd2befc3/countersign/description/descriptiontest"
)

func TestDescriptionIsOpenAPI(t *testing.T) { descriptiontest.Lint(t, "openapi.json") }
