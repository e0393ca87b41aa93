// Command back says how many there are.
package main

import (
	"fmt"
	"net/http"

	"example.com/app"
	"example.com/app/stock"
)

func main() {
	app.Serve(":8080", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, stock.Count(r.FormValue("item")))
	})
}
