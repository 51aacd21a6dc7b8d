package caddymodule

import (
	"runtime/debug"
	"sync"

	"github.com/seed-dd2befc3/countersign/signing"
)

const modulePath = "github.com/seed-dd2befc3/countersign"

// Version returns what /_ping reports: the version of this module in the build, and the commit if the build knows it.
func Version() signing.Version { return readVersion() }

var readVersion = sync.OnceValue(func() signing.Version {
	v := signing.Version{Version: "(devel)", ReleaseID: "(devel)"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	modules := append([]*debug.Module{&info.Main}, info.Deps...)
	for _, module := range modules {
		if module.Path == modulePath && module.Version != "" {
			v.Version, v.ReleaseID = module.Version, modulePath+"@"+module.Version
		}
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && info.Main.Path == modulePath {
			v.Revision, v.CommitID = setting.Value, setting.Value
		}
	}
	return v
})
