package caddymodule

// cardModule is the PKCS#11 module of a smartcard agent, and why it cannot be used.
type cardModule struct {
	path    string
	trouble func() error
}

// moduleStatus is one of them in /countersign/status.
type moduleStatus struct {
	Path  string `json:"path"`
	Error string `json:"error,omitempty"`
}

// moduleStatuses tell how the modules are, each once. There is always a list, so that JSON has one.
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

// moduleErrors are why modules cannot be used, by path; empty for those that can.
func (a *App) moduleErrors() map[string]string {
	found := map[string]string{}
	for _, module := range a.moduleStatuses() {
		found[module.Path] = module.Error
	}
	return found
}
