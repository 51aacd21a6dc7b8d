//go:build (linux || darwin) && (amd64 || arm64)

package cryptoki

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/ebitengine/purego"
)

// Module is a loaded and initialised PKCS#11 module.
type Module struct {
	list *functionList
}

// Open loads and initialises the shared library at path. The library stays loaded until the process ends, because
// many modules cannot be unloaded safely.
func Open(path string) (*Module, error) {
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("the module cannot be loaded: %w", err)
	}
	entry, err := purego.Dlsym(handle, "C_GetFunctionList")
	if err != nil {
		return nil, errors.New("not a PKCS#11 module: the library has no C_GetFunctionList")
	}
	m := &Module{}
	if rv, _, _ := purego.SyscallN(entry, uintptr(unsafe.Pointer(&m.list))); rv != 0 {
		return nil, &Error{Function: "C_GetFunctionList", Return: Return(rv)}
	}
	if m.list == nil || m.list.version.Major < 2 {
		return nil, errors.New("not a PKCS#11 module of version 2 or later")
	}
	args := &initializeArgs{flags: osLockingOK}
	err = m.call(fInitialize, uintptr(unsafe.Pointer(args)))
	if errors.Is(err, &Error{Return: CantLock}) { // single-threaded then, which suffices here
		err = m.call(fInitialize, 0)
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Close finalises the module, which ends all sessions and logins.
func (m *Module) Close() error { return m.call(fFinalize, 0) }

// Info returns the library's manufacturer, description and version.
func (m *Module) Info() (string, error) {
	raw := &rawInfo{}
	if err := m.call(fGetInfo, uintptr(unsafe.Pointer(raw))); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s %s %d.%d", text(raw.manufacturer[:]), text(raw.description[:]), raw.release.Major, raw.release.Minor), nil
}

// call calls a function of the list and turns its return value into an error.
//
//go:uintptrescapes
func (m *Module) call(function int, args ...uintptr) error {
	address := m.list.functions[function]
	if address == 0 {
		return &Error{Function: functionNames[function], Return: FunctionNotSupported}
	}
	if rv, _, _ := purego.SyscallN(address, args...); rv != 0 {
		return &Error{Function: functionNames[function], Return: Return(rv)}
	}
	return nil
}
