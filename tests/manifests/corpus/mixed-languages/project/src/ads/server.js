console.log("buy")
