//go:build (linux || darwin) && (amd64 || arm64)

package child

import (
	"errors"

	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/cryptoki"
	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/pipe"
)

// kinds says what return values mean while a card is in use. All others are the module's failure.
var kinds = map[cryptoki.Return]pipe.Kind{
	cryptoki.PINIncorrect:            pipe.PINWrong,
	cryptoki.PINInvalid:              pipe.PINWrong,
	cryptoki.PINLenRange:             pipe.PINWrong,
	cryptoki.PINLocked:               pipe.PINLocked,
	cryptoki.PINExpired:              pipe.Unfit,
	cryptoki.UserPINNotInitialized:   pipe.Unfit,
	cryptoki.Cancel:                  pipe.Cancelled,
	cryptoki.FunctionCanceled:        pipe.Cancelled,
	cryptoki.FunctionRejected:        pipe.Cancelled,
	cryptoki.DeviceRemoved:           pipe.Removed,
	cryptoki.TokenNotPresent:         pipe.Removed,
	cryptoki.TokenNotRecognized:      pipe.Removed,
	cryptoki.SlotIDInvalid:           pipe.Removed,
	cryptoki.SessionHandleInvalid:    pipe.Removed,
	cryptoki.SessionClosed:           pipe.Removed,
	cryptoki.KeyHandleInvalid:        pipe.Removed, // it was valid when the batch began
	cryptoki.ObjectHandleInvalid:     pipe.Removed,
	cryptoki.UserNotLoggedIn:         pipe.Removed, // a card that was put back has lost its login
	cryptoki.KeySizeRange:            pipe.Unfit,
	cryptoki.KeyTypeInconsistent:     pipe.Unfit,
	cryptoki.KeyFunctionNotPermitted: pipe.Unfit,
	cryptoki.MechanismInvalid:        pipe.Unfit,
	cryptoki.MechanismParamInvalid:   pipe.Unfit,
}

// failure converts an error for the agent.
func failure(err error) *pipe.Failure {
	var told *pipe.Failure
	if errors.As(err, &told) {
		return told
	}
	kind := pipe.Broken
	var refused *cryptoki.Error
	if errors.As(err, &refused) && kinds[refused.Return] != "" {
		kind = kinds[refused.Return]
	}
	return &pipe.Failure{Kind: kind, Text: err.Error()}
}

func unfit(why string) *pipe.Failure { return &pipe.Failure{Kind: pipe.Unfit, Text: why} }

func removed(why string) *pipe.Failure { return &pipe.Failure{Kind: pipe.Removed, Text: why} }
