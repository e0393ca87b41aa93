print("a parcel")
