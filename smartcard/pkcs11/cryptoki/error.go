//go:build (linux || darwin) && (amd64 || arm64)

package cryptoki

import "fmt"

// Return is a CK_RV other than CKR_OK.
type Return uint64

// The return values that callers distinguish.
const (
	Cancel                   Return = 0x01
	HostMemory               Return = 0x02
	SlotIDInvalid            Return = 0x03
	GeneralError             Return = 0x05
	FunctionFailed           Return = 0x06
	CantLock                 Return = 0x0A
	AttributeSensitive       Return = 0x11
	AttributeTypeInvalid     Return = 0x12
	DataLenRange             Return = 0x21
	DeviceError              Return = 0x30
	DeviceMemory             Return = 0x31
	DeviceRemoved            Return = 0x32
	FunctionCanceled         Return = 0x50
	FunctionNotSupported     Return = 0x54
	KeyHandleInvalid         Return = 0x60
	KeySizeRange             Return = 0x62
	KeyTypeInconsistent      Return = 0x63
	KeyFunctionNotPermitted  Return = 0x68
	MechanismInvalid         Return = 0x70
	MechanismParamInvalid    Return = 0x71
	ObjectHandleInvalid      Return = 0x82
	PINIncorrect             Return = 0xA0
	PINInvalid               Return = 0xA1
	PINLenRange              Return = 0xA2
	PINExpired               Return = 0xA3
	PINLocked                Return = 0xA4
	SessionClosed            Return = 0xB0
	SessionHandleInvalid     Return = 0xB3
	TokenNotPresent          Return = 0xE0
	TokenNotRecognized       Return = 0xE1
	UserAlreadyLoggedIn      Return = 0x100
	UserNotLoggedIn          Return = 0x101
	UserPINNotInitialized    Return = 0x102
	BufferTooSmall           Return = 0x150
	CryptokiAlreadyInitialed Return = 0x191
	FunctionRejected         Return = 0x200
)

var returnNames = map[Return]string{
	Cancel: "CKR_CANCEL", HostMemory: "CKR_HOST_MEMORY", SlotIDInvalid: "CKR_SLOT_ID_INVALID",
	GeneralError: "CKR_GENERAL_ERROR", FunctionFailed: "CKR_FUNCTION_FAILED", CantLock: "CKR_CANT_LOCK",
	AttributeSensitive: "CKR_ATTRIBUTE_SENSITIVE", AttributeTypeInvalid: "CKR_ATTRIBUTE_TYPE_INVALID",
	DataLenRange: "CKR_DATA_LEN_RANGE", DeviceError: "CKR_DEVICE_ERROR", DeviceMemory: "CKR_DEVICE_MEMORY",
	DeviceRemoved: "CKR_DEVICE_REMOVED", FunctionCanceled: "CKR_FUNCTION_CANCELED",
	FunctionNotSupported: "CKR_FUNCTION_NOT_SUPPORTED", KeyHandleInvalid: "CKR_KEY_HANDLE_INVALID",
	KeySizeRange: "CKR_KEY_SIZE_RANGE", KeyTypeInconsistent: "CKR_KEY_TYPE_INCONSISTENT",
	KeyFunctionNotPermitted: "CKR_KEY_FUNCTION_NOT_PERMITTED", MechanismInvalid: "CKR_MECHANISM_INVALID",
	MechanismParamInvalid: "CKR_MECHANISM_PARAM_INVALID", ObjectHandleInvalid: "CKR_OBJECT_HANDLE_INVALID",
	PINIncorrect: "CKR_PIN_INCORRECT", PINInvalid: "CKR_PIN_INVALID", PINLenRange: "CKR_PIN_LEN_RANGE",
	PINExpired: "CKR_PIN_EXPIRED", PINLocked: "CKR_PIN_LOCKED", SessionClosed: "CKR_SESSION_CLOSED",
	SessionHandleInvalid: "CKR_SESSION_HANDLE_INVALID", TokenNotPresent: "CKR_TOKEN_NOT_PRESENT",
	TokenNotRecognized: "CKR_TOKEN_NOT_RECOGNIZED", UserAlreadyLoggedIn: "CKR_USER_ALREADY_LOGGED_IN",
	UserNotLoggedIn: "CKR_USER_NOT_LOGGED_IN", UserPINNotInitialized: "CKR_USER_PIN_NOT_INITIALIZED",
	BufferTooSmall: "CKR_BUFFER_TOO_SMALL", CryptokiAlreadyInitialed: "CKR_CRYPTOKI_ALREADY_INITIALIZED",
	FunctionRejected: "CKR_FUNCTION_REJECTED",
}

// String returns the standard's name, or the number of a value that has no name here.
func (r Return) String() string {
	if name, known := returnNames[r]; known {
		return name
	}
	return fmt.Sprintf("CKR 0x%X", uint64(r))
}

// Error is a call that a module refused. It contains none of the arguments.
type Error struct {
	Function string // such as C_Login
	Return   Return
}

// Error returns the function and the return value.
func (e *Error) Error() string { return e.Function + ": " + e.Return.String() }

// Is lets errors.Is compare return values, as in errors.Is(err, &Error{Return: PINLocked}).
func (e *Error) Is(target error) bool {
	other, ok := target.(*Error)
	return ok && other.Return == e.Return && (other.Function == "" || other.Function == e.Function)
}
