// Command front says what things cost.
package main

import (
	"fmt"
	"net/http"

	"example.com/app"
	"example.com/app/stock"
)

func main() {
	app.Serve(":8080", func(w http.ResponseWriter, r *http.Request) {
		price, there := stock.Price(r.FormValue("item"))
		if !there {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintln(w, price)
	})
}
