package caddymodule

// cardModule is the PKCS#11 module of a smartcard agent. trouble returns why it cannot be used, or nil.
type cardModule struct {
	path    string
	trouble func() error
}

// moduleStatus is one module in /countersign/status.
type moduleStatus struct {
	Path  string `json:"path"`
	Error string `json:"error,omitempty"`
}

// moduleStatuses returns the state of each module once. The list is never nil, so that its JSON is not null.
func (a *App) moduleStatuses() []moduleStatus {
	found := []moduleStatus{}
	told := map[string]int{}
	for _, module := range a.modules {
		status := moduleStatus{Path: module.path}
		if err := module.trouble(); err != nil {
			status.Error = err.Error()
		}
		at, twice := told[module.path]
		switch {
		case !twice:
			told[module.path] = len(found)
			found = append(found, status)
		case found[at].Error == "":
			found[at] = status
		}
	}
	return found
}

// moduleErrors returns the error of each module by path, empty for a working module.
func (a *App) moduleErrors() map[string]string {
	found := map[string]string{}
	for _, module := range a.moduleStatuses() {
		found[module.Path] = module.Error
	}
	return found
}
