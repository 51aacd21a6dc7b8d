//go:build (linux || darwin) && (amd64 || arm64)

package cryptoki

import (
	"strings"
	"unsafe"
)

// ulong is CK_ULONG: C's unsigned long, 8 bytes on the supported systems.
type ulong = uint64

type version struct{ Major, Minor byte }

// functionList begins like CK_FUNCTION_LIST. The functions follow in the standard's order.
type functionList struct {
	version   version
	functions [lastFunction + 1]uintptr
}

// Indexes of functions in the list.
const (
	fInitialize        = 0
	fFinalize          = 1
	fGetInfo           = 2
	fGetSlotList       = 4
	fGetSlotInfo       = 5
	fGetTokenInfo      = 6
	fGetMechanismList  = 7
	fGetMechanismInfo  = 8
	fOpenSession       = 12
	fCloseSession      = 13
	fLogin             = 18
	fLogout            = 19
	fGetAttributeValue = 24
	fFindObjectsInit   = 26
	fFindObjects       = 27
	fFindObjectsFinal  = 28
	fSignInit          = 42
	fSign              = 43
	lastFunction       = fSign
)

var functionNames = map[int]string{
	fInitialize: "C_Initialize", fFinalize: "C_Finalize", fGetInfo: "C_GetInfo", fGetSlotList: "C_GetSlotList",
	fGetSlotInfo: "C_GetSlotInfo", fGetTokenInfo: "C_GetTokenInfo", fGetMechanismList: "C_GetMechanismList",
	fGetMechanismInfo: "C_GetMechanismInfo", fOpenSession: "C_OpenSession", fCloseSession: "C_CloseSession",
	fLogin: "C_Login", fLogout: "C_Logout", fGetAttributeValue: "C_GetAttributeValue",
	fFindObjectsInit: "C_FindObjectsInit", fFindObjects: "C_FindObjects", fFindObjectsFinal: "C_FindObjectsFinal",
	fSignInit: "C_SignInit", fSign: "C_Sign",
}

// initializeArgs is CK_C_INITIALIZE_ARGS.
type initializeArgs struct {
	mutexes  [4]uintptr
	flags    ulong
	reserved uintptr
}

const osLockingOK = 2

// rawInfo is CK_INFO.
type rawInfo struct {
	cryptoki     version
	manufacturer [32]byte
	flags        ulong
	description  [32]byte
	release      version // of the library
}

// rawSlot is CK_SLOT_INFO.
type rawSlot struct {
	description  [64]byte
	manufacturer [32]byte
	flags        ulong
	hardware     version
	firmware     version
}

// rawToken is CK_TOKEN_INFO.
type rawToken struct {
	label        [32]byte
	manufacturer [32]byte
	model        [16]byte
	serial       [16]byte
	flags        ulong
	counts       [10]ulong // sessions, PIN lengths, memory
	hardware     version
	firmware     version
	time         [16]byte
}

// rawMechanism is CK_MECHANISM.
type rawMechanism struct {
	mechanism ulong
	parameter unsafe.Pointer
	length    ulong
}

// rawMechanismInfo is CK_MECHANISM_INFO.
type rawMechanismInfo struct{ min, max, flags ulong }

// rawPSS is CK_RSA_PKCS_PSS_PARAMS.
type rawPSS struct{ hash, mgf, salt ulong }

// rawAttribute is CK_ATTRIBUTE.
type rawAttribute struct {
	kind   ulong
	value  unsafe.Pointer
	length ulong
}

// unavailable is the length a module reports for an attribute it does not disclose.
const unavailable = ^ulong(0)

// text reads a field padded with blanks or, by some modules, with zeros.
func text(field []byte) string {
	return strings.TrimRight(strings.ToValidUTF8(string(field), "?"), " \x00")
}
