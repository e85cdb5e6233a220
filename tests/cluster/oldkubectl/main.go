// kubectl as it was in Kubernetes 1.31: the last one whose port-forward wedges when a client aborts a download.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubectl/pkg/cmd"
)

func main() {
	os.Exit(cli.Run(cmd.NewDefaultKubectlCommand()))
}
